"""The database on Kaggle, in one pinned version.

``kagglehub`` brings the client: Kaggle's addresses, and credentials where the user has some (none
are needed for this data set). Its own download is not used: it does not try again, does not
compare the MD5 of a download that was complete when it was resumed, and unpacks everything next to
the archive, so that the disk would hold the database three times.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from kagglehub.clients import build_kaggle_client
from kagglesdk.datasets.types.dataset_api_service import ApiDownloadDatasetRequest

from pulmoscan.acquire import archive, transfer
from pulmoscan.data import layout
from pulmoscan.data.raw_folder import DatabaseFile, check_layout, images_by_class

OWNER = "tawsifurrahman"
DATASET = "covid19-radiography-database"
VERSION = 5
NAME = f"{OWNER}/{DATASET}/versions/{VERSION}"

# Images of the version above, as the provider and the study give them.
PUBLISHED_COUNTS = {"COVID": 3616, "Lung_Opacity": 6012, "Normal": 10192, "Viral Pneumonia": 1345}

OTHER_SOURCES = (
    "or choose another dataset.source: sample (1,076 public images, from GitHub), local (a copy of "
    "yours, at dataset.path) or phantom (synthetic, without network)"
)


@contextmanager
def database_files(cache: Path) -> Iterator[list[DatabaseFile]]:
    """Give the files of the database, ready to be copied; the archive is removed when they are.

    Args:
        cache: The folder that the archive is downloaded to. A broken download is kept there, and
            the next call goes on with it.

    Raises:
        ValueError: The archive is damaged or refused, or holds other numbers of images than
            published.
        OSError: Kaggle cannot be reached or refuses, or there is too little room.
    """
    path = cache / f"{DATASET}-{VERSION}.zip"
    download(path)
    try:
        with archive.opened(path, f"the archive from Kaggle ({path})") as opened:
            files = opened.database_files(origin=f"kaggle:{NAME}/")
            check_layout(files, opened.name, opened.names)
            check_counts(files, path)
            yield files
    except archive.DamagedArchiveError:
        path.unlink()
        raise
    path.unlink()


def download(path: Path) -> None:
    """Download the archive to ``path``; raise ``OSError`` worded for the user."""
    try:
        transfer.download(_send, path, f"Kaggle's {NAME}")
    except transfer.UnreachableError as error:
        raise transfer.UnreachableError(f"{error}; check the network, {OTHER_SOURCES}") from None
    except transfer.RefusedError as error:
        advice = f"Kaggle has no such version, {OTHER_SOURCES}"
        if error.status in (401, 403):
            advice = (
                "no account is needed as a rule: remove stale credentials (~/.kaggle, KAGGLE_*), "
                f"or create a token on your Kaggle account page, {OTHER_SOURCES}"
            )
        raise transfer.RefusedError(f"{error}; {advice}", error.status) from None


def check_counts(files: list[DatabaseFile], path: Path) -> None:
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
    """Ask Kaggle for the archive; an answer that is an error is returned like any other."""
    request = ApiDownloadDatasetRequest()
    request.owner_slug, request.dataset_slug = OWNER, DATASET
    request.dataset_version_number = VERSION
    try:
        client = build_kaggle_client()
    except (
        ValueError
    ) as error:  # a credentials file that cannot be understood, named in the message
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
    # Kaggle answers with a redirection to a signed address in a store, which knows Range.
    return transfer.get(answer.url)(headers)


class _ImpatientAdapter(requests.adapters.HTTPAdapter):
    """Gives Kaggle's client the timeouts that it does not set."""

    def send(self, request: requests.PreparedRequest, **settings: Any) -> requests.Response:
        """Send ``request`` as ``HTTPAdapter`` does, within ``transfer.TIMEOUT``."""
        return super().send(request, **settings | {"timeout": transfer.TIMEOUT})
