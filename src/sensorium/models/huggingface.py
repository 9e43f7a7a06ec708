"""The Hub and its cache: the only file that imports huggingface_hub. Only `download` goes to the network."""

from __future__ import annotations

from pathlib import Path

import huggingface_hub
from huggingface_hub import constants
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from sensorium.core.errors import InputError
from sensorium.models.folder import CONFIG, missing_weights

# Settings, vocabularies and safetensors: what is loaded. Pickles and code of a repository are never fetched.
WANTED = ("*.json", "*.safetensors", "*.txt", "*.model", "*.jinja")


def cached(name: str, revision: str | None = None) -> Path | None:
    """The snapshot folder of a model in the local cache, or None when it is not there whole.

    Args:
        name: `owner/model` on the Hub.
        revision: a full commit, branch or tag; the cached `main` by default.
    """
    found = huggingface_hub.try_to_load_from_cache(name, CONFIG, cache_dir=constants.HF_HUB_CACHE, revision=revision)
    if not isinstance(found, str):
        return None
    folder = Path(found).parent
    return None if missing_weights(folder) else folder


def cache_place() -> str:
    """Where the cache lies, for a sentence."""
    return str(constants.HF_HUB_CACHE)


def download(name: str, revision: str | None = None) -> Path:
    """Fetch a model's settings, vocabularies and safetensors into the cache; returns the snapshot folder.

    Raises:
        InputError: the Hub is not reachable, has no such model or revision, or refuses it.
    """
    try:
        return Path(huggingface_hub.snapshot_download(name, revision=revision, allow_patterns=list(WANTED)))
    except GatedRepoError as error:
        raise InputError(
            f"{name} is gated on the Hub; accept its terms there and log in with: hf auth login"
        ) from error
    except RevisionNotFoundError as error:
        raise InputError(f"{name} has no revision '{revision}' on the Hub.") from error
    except RepositoryNotFoundError as error:
        raise InputError(f"the Hub has no model {name}, or it is private and you are not logged in.") from error
    except OfflineModeIsEnabled as error:
        raise InputError(f"{name} was not fetched: HF_HUB_OFFLINE is set; unset it to use the Hub.") from error
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise InputError(
            f"{name} could not be fetched from the Hub ({type(error).__name__}); check the connection."
        ) from error
