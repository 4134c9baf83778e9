"""Which video codecs there are, and which of them are used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import sora_sdk_ext
from ._enums import SoraVideoCodecImplementation, SoraVideoCodecType

__all__ = [
    "SoraVideoCodecCapability",
    "SoraVideoCodecPreference",
    "create_video_codec_preference_from_implementation",
    "get_video_codec_capability",
]

_MADE_BY = "made by get_video_codec_capability()"


def _expect(value: object, kind: type, name: str) -> None:
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be a {kind.__name__}, got {type(value).__name__}")


def _lower_name(implementation: SoraVideoCodecImplementation | None) -> str | None:
    return None if implementation is None else implementation.name.lower()


class SoraVideoCodecCapability:
    """The video codecs of this machine. Made by get_video_codec_capability()."""

    class Parameters:
        """What is known of a codec's library; None for what does not apply."""

        __slots__ = ("_openh264_path", "_version")
        _version: str | None
        _openh264_path: str | None

        def __init__(self) -> None:
            raise TypeError(f"SoraVideoCodecCapability.Parameters is {_MADE_BY}")

        @classmethod
        def _make(
            cls, version: str | None = None, openh264_path: str | None = None
        ) -> SoraVideoCodecCapability.Parameters:
            made = object.__new__(cls)
            made._version, made._openh264_path = version, openh264_path
            return made

        @property
        def version(self) -> str | None:
            """Version of the library."""
            return self._version

        @property
        def openh264_path(self) -> str | None:
            """Where the OpenH264 library was loaded from."""
            return self._openh264_path

        @property
        def vpl_impl(self) -> str | None:
            """Intel VPL: there is no such backend yet."""
            return None

        @property
        def vpl_impl_value(self) -> int | None:
            """Intel VPL: there is no such backend yet."""
            return None

        @property
        def nvcodec_gpu_device_name(self) -> str | None:
            """NVIDIA Video Codec SDK: there is no such backend yet."""
            return None

        @property
        def amf_runtime_version(self) -> str | None:
            """AMD AMF: there is no such backend yet."""
            return None

        @property
        def amf_embedded_version(self) -> str | None:
            """AMD AMF: there is no such backend yet."""
            return None

        def _to_json(self) -> dict[str, Any]:
            values = {"version": self._version, "openh264_path": self._openh264_path}
            return {name: value for name, value in values.items() if value is not None}

    class Codec:
        """What an engine can do with one codec."""

        __slots__ = ("_decoder", "_encoder", "_parameters", "_type")
        _type: SoraVideoCodecType
        _encoder: bool
        _decoder: bool
        _parameters: SoraVideoCodecCapability.Parameters

        def __init__(self) -> None:
            raise TypeError(f"SoraVideoCodecCapability.Codec is {_MADE_BY}")

        @classmethod
        def _make(
            cls, kind: SoraVideoCodecType, encoder: bool, decoder: bool, parameters: SoraVideoCodecCapability.Parameters
        ) -> SoraVideoCodecCapability.Codec:
            made = object.__new__(cls)
            made._type, made._encoder, made._decoder, made._parameters = kind, encoder, decoder, parameters
            return made

        @property
        def type(self) -> SoraVideoCodecType:
            """The codec."""
            return self._type

        @property
        def encoder(self) -> bool:
            """True if it can be encoded."""
            return self._encoder

        @property
        def decoder(self) -> bool:
            """True if it can be decoded."""
            return self._decoder

        @property
        def parameters(self) -> SoraVideoCodecCapability.Parameters:
            """What is known of its library."""
            return self._parameters

        def _to_json(self) -> dict[str, Any]:
            return {
                "type": self._type.name,
                "encoder": self._encoder,
                "decoder": self._decoder,
                "parameters": self._parameters._to_json(),
            }

    class Engine:
        """One implementation with its codecs."""

        __slots__ = ("_codecs", "_name")
        _name: SoraVideoCodecImplementation
        _codecs: list[SoraVideoCodecCapability.Codec]

        def __init__(self) -> None:
            raise TypeError(f"SoraVideoCodecCapability.Engine is {_MADE_BY}")

        @classmethod
        def _make(
            cls, name: SoraVideoCodecImplementation, codecs: list[SoraVideoCodecCapability.Codec]
        ) -> SoraVideoCodecCapability.Engine:
            made = object.__new__(cls)
            made._name, made._codecs = name, codecs
            return made

        @property
        def name(self) -> SoraVideoCodecImplementation:
            """Who implements the codecs."""
            return self._name

        @property
        def codecs(self) -> list[SoraVideoCodecCapability.Codec]:
            """All codecs, with what the engine can do with them."""
            return list(self._codecs)

        @property
        def parameters(self) -> SoraVideoCodecCapability.Parameters:
            """What is known of the engine as a whole."""
            return SoraVideoCodecCapability.Parameters._make()

        def _to_json(self) -> dict[str, Any]:
            codecs = [codec._to_json() for codec in self._codecs]
            return {"name": self._name.name.lower(), "codecs": codecs, "parameters": {}}

    __slots__ = ("_engines",)
    _engines: list[SoraVideoCodecCapability.Engine]

    def __init__(self) -> None:
        raise TypeError(f"SoraVideoCodecCapability is {_MADE_BY}")

    @property
    def engines(self) -> list[SoraVideoCodecCapability.Engine]:
        """The implementations that are there. What is not there is not listed."""
        return list(self._engines)

    def to_json(self) -> dict[str, Any]:
        """The same as dicts and lists, for json.dumps()."""
        return {"engines": [engine._to_json() for engine in self._engines]}


class SoraVideoCodecPreference:
    """Who is to encode and decode which video codec. Codecs without an entry are not used."""

    class Parameters:
        """Settings of a codec. There are none yet."""

        __slots__ = ()

    class Codec:
        """One codec's encoder and decoder; None for nobody."""

        __slots__ = ("_decoder", "_encoder", "_parameters", "_type")
        _type: SoraVideoCodecType
        _encoder: SoraVideoCodecImplementation | None
        _decoder: SoraVideoCodecImplementation | None
        _parameters: SoraVideoCodecPreference.Parameters

        def __init__(
            self,
            type: SoraVideoCodecType = SoraVideoCodecType.VP8,
            encoder: SoraVideoCodecImplementation | None = None,
            decoder: SoraVideoCodecImplementation | None = None,
            parameters: SoraVideoCodecPreference.Parameters | None = None,
        ) -> None:
            self.type = type
            self._encoder, self._decoder = None, None
            if encoder is not None:
                self.encoder = encoder
            if decoder is not None:
                self.decoder = decoder
            self._parameters = SoraVideoCodecPreference.Parameters()
            if parameters is not None:
                self.parameters = parameters

        @property
        def type(self) -> SoraVideoCodecType:
            """The codec."""
            return self._type

        @type.setter
        def type(self, value: SoraVideoCodecType) -> None:
            self._type = SoraVideoCodecType(value)

        @property
        def encoder(self) -> SoraVideoCodecImplementation | None:
            """Who encodes it."""
            return self._encoder

        @encoder.setter
        def encoder(self, value: SoraVideoCodecImplementation | None) -> None:
            self._encoder = None if value is None else SoraVideoCodecImplementation(value)

        @property
        def decoder(self) -> SoraVideoCodecImplementation | None:
            """Who decodes it."""
            return self._decoder

        @decoder.setter
        def decoder(self, value: SoraVideoCodecImplementation | None) -> None:
            self._decoder = None if value is None else SoraVideoCodecImplementation(value)

        @property
        def parameters(self) -> SoraVideoCodecPreference.Parameters:
            """Its settings."""
            return self._parameters

        @parameters.setter
        def parameters(self, value: SoraVideoCodecPreference.Parameters) -> None:
            _expect(value, SoraVideoCodecPreference.Parameters, "parameters")
            self._parameters = value

        def _to_json(self) -> dict[str, Any]:
            encoder, decoder = _lower_name(self._encoder), _lower_name(self._decoder)
            return {"type": self._type.name, "encoder": encoder, "decoder": decoder, "parameters": {}}

    __slots__ = ("_codecs",)
    _codecs: list[SoraVideoCodecPreference.Codec]

    def __init__(self, codecs: Sequence[SoraVideoCodecPreference.Codec] = ()) -> None:
        self.codecs = codecs

    @property
    def codecs(self) -> list[SoraVideoCodecPreference.Codec]:
        """The entries. The list is a copy, its entries are not."""
        return list(self._codecs)

    @codecs.setter
    def codecs(self, value: Sequence[SoraVideoCodecPreference.Codec]) -> None:
        entries = list(value)
        for entry in entries:
            _expect(entry, SoraVideoCodecPreference.Codec, "every entry of codecs")
        self._codecs = entries

    def to_json(self) -> dict[str, Any]:
        """The same as dicts and lists, for json.dumps()."""
        return {"codecs": [codec._to_json() for codec in self._codecs]}

    def find(self, type: SoraVideoCodecType) -> int | None:
        """The place of a codec's entry in codecs, or None."""
        return next((place for place, codec in enumerate(self._codecs) if codec.type == type), None)

    def get_or_add(self, type: SoraVideoCodecType) -> int:
        """The place of a codec's entry, which is made (with nobody in it) if there is none."""
        place = self.find(type)
        if place is None:
            self._codecs.append(SoraVideoCodecPreference.Codec(type))
            place = len(self._codecs) - 1
        return place

    def has_implementation(self, implementation: SoraVideoCodecImplementation) -> bool:
        """True if the implementation encodes or decodes anything."""
        return any(implementation in (codec.encoder, codec.decoder) for codec in self._codecs)

    def merge(self, preference: SoraVideoCodecPreference) -> None:
        """Takes over every encoder and decoder that the other one names."""
        _expect(preference, SoraVideoCodecPreference, "preference")
        for other in preference.codecs:
            own = self._codecs[self.get_or_add(other.type)]
            if other.encoder is not None:
                own.encoder = other.encoder
            if other.decoder is not None:
                own.decoder = other.decoder


def get_video_codec_capability(openh264: str | None = None) -> SoraVideoCodecCapability:
    """The video codecs of this machine.

    openh264: path of an OpenH264 library. If it cannot be used, a RuntimeWarning says why, and H.264 is missing.
    """
    capability = object.__new__(SoraVideoCodecCapability)
    capability._engines = []
    for name, codecs in sora_sdk_ext._video_codec_capability(openh264):
        entries = [
            SoraVideoCodecCapability.Codec._make(
                SoraVideoCodecType[kind], encoder, decoder, SoraVideoCodecCapability.Parameters._make(version, path)
            )
            for kind, encoder, decoder, version, path in codecs
        ]
        implementation = SoraVideoCodecImplementation[name.upper()]
        capability._engines.append(SoraVideoCodecCapability.Engine._make(implementation, entries))
    return capability


def create_video_codec_preference_from_implementation(
    capability: SoraVideoCodecCapability, implementation: SoraVideoCodecImplementation
) -> SoraVideoCodecPreference:
    """A preference for everything that one implementation offers."""
    _expect(capability, SoraVideoCodecCapability, "capability")
    implementation = SoraVideoCodecImplementation(implementation)
    preference = SoraVideoCodecPreference()
    for engine in capability.engines:
        if engine.name == implementation:
            preference.codecs = [
                SoraVideoCodecPreference.Codec(
                    codec.type,
                    implementation if codec.encoder else None,
                    implementation if codec.decoder else None,
                )
                for codec in engine.codecs
            ]
    return preference
