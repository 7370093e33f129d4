"""Which claims there are, and which are asked for."""

from litconv.config import own_yamls
from litconv.errors import ConfigError, did_you_mean


def chosen(asked: object) -> list[str]:
    """None for all, one name, or a list of names."""
    known = own_yamls.options("claims")
    wanted = known if asked is None else [asked] if isinstance(asked, str) else list(asked)
    for name in wanted:
        if name not in known:
            meant = did_you_mean(str(name), known)
            raise ConfigError(f"only={name} is no claim{meant}; there: {', '.join(known)}")
    if not wanted:
        raise ConfigError(f"only=[] names none; there are: {', '.join(known)}")
    return wanted
