"""Which claims there are, and which are asked for."""

from litconv.config.places import CONF
from litconv.errors import ConfigError, did_you_mean

CLAIMS = CONF / "claims"


def names() -> list[str]:
    return sorted(path.stem for path in CLAIMS.glob("*.yaml"))


def chosen(asked: object) -> list[str]:
    """None for all, one name, or a list of names."""
    known = names()
    wanted = known if asked is None else [asked] if isinstance(asked, str) else list(asked)
    for name in wanted:
        if name not in known:
            meant = did_you_mean(str(name), known)
            raise ConfigError(f"only={name} is not in conf/claims{meant}; there: {', '.join(known)}")
    if not wanted:
        raise ConfigError(f"only=[] names none; there are: {', '.join(known)}")
    return wanted
