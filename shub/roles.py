"""What stems are in the music, told from what they are called. No I/O."""

import re
import unicodedata
from itertools import pairwise
from pathlib import PurePath
from typing import Literal

from config.contracts.shub import StemRole

ROLE_WORDS: dict[StemRole, str] = {
    # Told apart from top to bottom: a "coro de voces" is a choir, a "bass drum" is a kick, a "lead guitar" leads.
    StemRole.BACKING_VOCAL: "coro coros choir backing backings bgv bvox armonia armonias harmony harmonies segundas",
    StemRole.VOCAL: "voz voces vocal vocals vox voice voices cantante singer canto rap acapella acappella",
    StemRole.KICK: "bombo kick kik bd bassdrum",
    StemRole.SNARE: "caja snare snr redoblante tarola clap claps palmas",
    StemRole.HATS: "hihat hihats hat hats hh charles platillo platillos plato platos cymbal cymbals ride overhead overheads oh",
    StemRole.PERCUSSION: "percusion percusiones percussion perc conga congas bongo bongos shaker pandereta tambourine cajon toms tom",
    StemRole.DRUMS: "bateria baterias drum drums beat beats drumkit kit ritmo batería",
    StemRole.LEAD: "lead solo solista melodia melody",
    StemRole.BASS: "bajo bass sub contrabajo 808",
    StemRole.GUITAR: "guitarra guitarras guitar guitars gtr gtrs acustica ukelele ukulele",
    StemRole.PIANO: "piano pianos",
    StemRole.KEYS: "teclado teclados keys keyboard synth synths sinte sintetizador organ organo rhodes wurli clavinet arp",
    StemRole.STRINGS: "cuerda cuerdas string strings violin violines violins viola cello chelo orquesta orchestra",
    StemRole.BRASS: "metales brass trompeta trumpet trombon trombone sax saxo saxofon saxophone horns vientos flauta flute",
    StemRole.PAD: "pad pads colchon",
    StemRole.FX: "fx sfx efecto efectos effect effects ambiente ambience atmos noise riser",
}
_ROLE_OF_WORD = {word: role for role, words in reversed(ROLE_WORDS.items()) for word in words.split()}
_RANK = {role: rank for rank, role in enumerate(ROLE_WORDS)}
RoleSource = Literal["request", "name", "unknown"]


def role_of(asked: StemRole | None, name: str) -> tuple[StemRole, RoleSource]:
    """The role that was asked for, else the one that the file's name speaks of, else `other`."""
    if asked is not None:
        return asked, "request"
    plain = unicodedata.normalize("NFKD", PurePath(name).stem.lower())
    words = re.findall(r"[a-z]+|\d+", "".join(letter for letter in plain if not unicodedata.combining(letter)))
    pairs = ["".join(pair) for pair in pairwise(words)]  # "hi-hat", "bass drum"
    found = [_ROLE_OF_WORD[word] for word in words + pairs if word in _ROLE_OF_WORD]
    return (min(found, key=_RANK.__getitem__), "name") if found else (StemRole.OTHER, "unknown")


def role_named(name: str) -> StemRole | None:
    """The role that a file's name speaks of, if it speaks of one."""
    role, source = role_of(None, name)
    return role if source == "name" else None
