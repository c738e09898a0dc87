"""The database on Kaggle, in one pinned version.

``kagglehub`` provides the client: Kaggle's addresses, and the user's credentials if there are any
(none are needed for this data set). Its own download is not used: it does not retry, does not check
the MD5 of a download that was already complete when it was resumed, and unpacks everything next to
the archive, so that the disk would hold the database three times.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from kagglehub.clients import build_kaggle_client
from kagglesdk.datasets.types.dataset_api_service import ApiDownloadDatasetRequest

from pulmoscan.acquire import archive, sources, transfer
from pulmoscan.data import layout
from pulmoscan.data.raw_folder import Database, DatabaseFile, check_layout, images_by_class

OWNER = "tawsifurrahman"
DATASET = "covid19-radiography-database"
VERSION = 5
NAME = f"{OWNER}/{DATASET}/versions/{VERSION}"

# Images of this version, as stated by the provider and the study.
PUBLISHED_COUNTS = {"COVID": 3616, "Lung_Opacity": 6012, "Normal": 10192, "Viral Pneumonia": 1345}


@contextmanager
def database(cache: Path) -> Iterator[Database]:
    """Yield the database, its files ready to be copied; then remove the archive.

    Args:
        cache: The folder that the archive is downloaded to. A broken download is kept there, and
            resumed by the next call.

    Raises:
        ValueError: The archive is damaged or refused, or its numbers of images are not the
            published ones.
        OSError: Kaggle cannot be reached or refuses, or the disk has too little space.
    """
    path = cache / f"{DATASET}-{VERSION}.zip"
    download(path)
    try:
        with archive.opened(path, f"the archive from Kaggle ({path})") as opened:
            found = opened.database(origin=f"kaggle:{NAME}/")
            check_layout(found, opened.name, opened.names)
            check_counts(found.files, path)
            yield found
    except archive.DamagedArchiveError:
        path.unlink()
        raise
    path.unlink()


def download(path: Path) -> None:
    """Download the archive to ``path``; an ``OSError`` says what the user can do."""
    try:
        transfer.download(_send, path, f"Kaggle's {NAME}")
    except transfer.UnreachableError as error:
        advice = f"check the network, {sources.alternatives('kaggle')}"
        raise transfer.UnreachableError(f"{error}; {advice}") from None
    except transfer.RefusedError as error:
        advice = "Kaggle has no such version"
        if error.status in (401, 403):
            advice = (
                "usually no account is needed: remove stale credentials (~/.kaggle, KAGGLE_*), "
                "or create a token on your Kaggle account page"
            )
        advice = f"{advice}, {sources.alternatives('kaggle')}"
        raise transfer.RefusedError(f"{error}; {advice}", error.status) from None


def check_counts(files: Sequence[DatabaseFile], path: Path) -> None:
    """Raise ``ValueError`` unless every class has its published number of images."""
    counts = images_by_class(files)
    wrong = [
        f"{counts[name]:,} images of {name} instead of {PUBLISHED_COUNTS[name]:,}"
        for name in layout.CLASSES
        if counts[name] != PUBLISHED_COUNTS[name]
    ]
    if wrong:
        raise ValueError(
            f"{path} is not the published database: it holds {'; '.join(wrong)}. Remove it to "
            "download it again, or use it as it is with dataset.source: local and this path"
        )


def _send(headers: Mapping[str, str]) -> requests.Response:
    """Request the archive from Kaggle; an error response is returned like any other."""
    request = ApiDownloadDatasetRequest()
    request.owner_slug, request.dataset_slug = OWNER, DATASET
    request.dataset_version_number = VERSION
    try:
        client = build_kaggle_client()
    except ValueError as error:  # a credentials file that cannot be parsed, which it names
        raise ValueError(f"{error}: repair or remove it, none is needed") from error
    with client:
        session = client.http_client()._init_session()
        for prefix in ("https://", "http://"):
            session.mount(prefix, _ImpatientAdapter())
        try:
            answer = client.datasets.dataset_api_client.download_dataset(request)
        except requests.HTTPError as error:
            return error.response
    if "Range" not in headers:
        return answer
    answer.close()
    # Kaggle redirects to a signed address in a store that supports Range.
    return transfer.get(answer.url)(headers)


class _ImpatientAdapter(requests.adapters.HTTPAdapter):
    """Adds the timeouts that Kaggle's client does not set."""

    def send(self, request: requests.PreparedRequest, **settings: Any) -> requests.Response:
        """Send ``request`` as ``HTTPAdapter`` does, within ``transfer.TIMEOUT``."""
        return super().send(request, **settings | {"timeout": transfer.TIMEOUT})
