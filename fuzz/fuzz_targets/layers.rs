#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sora_fuzz::layers(data));
