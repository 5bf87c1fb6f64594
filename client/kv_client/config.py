"""Where an endpoint comes from, and what kv-client keeps between two commands."""

import io
import json
import os
import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from kv_client.errors import EndpointError

if TYPE_CHECKING:
    from configparser import ConfigParser

_APPLICATION = "kv-client"
_EXAMPLE = "stack://kv-store"
_XDG_DEFAULTS = {"config": ".config", "state": ".local/state"}
_NAME = re.compile(r"[\w./-]+")


def config_file() -> Path:
    """Return the INI file that holds the profiles, a section each."""
    return _user_folder("config") / "config.ini"


def state_folder() -> Path:
    """Return the folder for locks, the shell's history and what was last seen; it is made here."""
    folder = _user_folder("state")
    # The history may hold values that are nobody else's business.
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def lock_folder() -> Path:
    """Return a folder for locks: the state's, or where that can't be made the system's."""
    try:
        return state_folder()
    except OSError:
        return Path(tempfile.gettempdir())


def _user_folder(kind: Literal["config", "state"]) -> Path:
    """Return the platform's folder for what this program keeps of a kind."""
    if sys.platform == "linux":
        # What platformdirs says there too; to import it takes longer than all of this program.
        named = os.environ.get(f"XDG_{kind.upper()}_HOME", "").strip()
        base = Path(named) if named else Path.home() / _XDG_DEFAULTS[kind]
        return base / _APPLICATION
    import platformdirs

    find = platformdirs.user_config_path if kind == "config" else platformdirs.user_state_path
    return find(_APPLICATION, appauthor=False)


def find_endpoint(
    option: str | None, profile: str | None, environment: Mapping[str, str] = os.environ
) -> str | None:
    """Return the URL that the option names, else ``KV_ENDPOINT``, else the profile; else None.

    Raises:
        EndpointError: There is no such profile, or it names no endpoint.
    """
    if option:
        return option
    if from_environment := environment.get("KV_ENDPOINT"):
        return from_environment
    if profile:
        return profile_endpoint(profile)
    return None


def profile_endpoint(profile: str) -> str:
    """Return a profile's endpoint.

    Raises:
        EndpointError: There is no such profile, or it names no endpoint.
    """
    endpoint = profiles().get(profile)
    if not endpoint:
        raise EndpointError(
            f"there is no endpoint for profile {profile!r} in {config_file()}; "
            f"kv-client config set {profile} endpoint URL makes one"
        )
    return endpoint


def profiles() -> dict[str, str]:
    """Return the profiles' names, each with its endpoint.

    Raises:
        EndpointError: The file is not an INI file.
    """
    parser = _read()
    return {name: parser[name].get("endpoint", "") for name in parser.sections()}


def set_endpoint(profile: str, endpoint: str) -> None:
    """Keep an endpoint under a profile's name.

    Raises:
        EndpointError: An INI file can't hold that, or the file that is there is not an INI file.
    """
    from configparser import DEFAULTSECT

    if not _NAME.fullmatch(profile) or profile == DEFAULTSECT:
        raise EndpointError(f"{profile!r} names no profile: letters, digits, - _ . and / do")
    if not endpoint.isprintable() or "://" not in endpoint:
        raise EndpointError(f"{endpoint!r} is no endpoint: it must be a URL such as {_EXAMPLE}")
    parser = _read()
    if not parser.has_section(profile):
        parser.add_section(profile)
    parser[profile]["endpoint"] = endpoint
    file = config_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    parser.write(text)
    # The file may be a link into a folder that is kept elsewhere.
    _replace(file.resolve(), text.getvalue())


def _read() -> "ConfigParser":
    from configparser import ConfigParser, Error

    # Without interpolation: a URL may hold a percent sign.
    parser = ConfigParser(interpolation=None)
    try:
        parser.read(str(config_file()), encoding="utf-8")
    except (Error, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise EndpointError(f"{config_file()} is not an INI file: {reason}") from error
    return parser


def remember_instance(endpoint: str, instance: str) -> str | None:
    """Note which instance of the memory engine answered at an endpoint.

    Returns:
        The one that did so before, if it was another.
    """
    try:
        return _remember_instance(state_folder() / "instances.json", endpoint, instance)
    except OSError:
        # Where nothing can be kept, nothing was seen last.
        return None


def _remember_instance(file: Path, endpoint: str, instance: str) -> str | None:
    try:
        seen = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        seen = None
    if not isinstance(seen, dict):
        seen = {}
    last: str | None = seen.get(endpoint)
    if last == instance:
        return None
    seen[endpoint] = instance
    _replace(file, json.dumps(seen))
    return last


def _replace(file: Path, text: str) -> None:
    """Write a file anew: whoever reads it meanwhile has what was before or after, never half."""
    new = file.with_suffix(f".{os.getpid()}")
    new.write_bytes(text.encode())
    new.replace(file)
