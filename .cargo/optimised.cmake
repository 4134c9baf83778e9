# C libraries are optimised in debug builds too: real-time media needs it.
set(CMAKE_C_FLAGS_DEBUG_INIT "-O3 -DNDEBUG")
set(CMAKE_CXX_FLAGS_DEBUG_INIT "-O3 -DNDEBUG")
