"""Which collection an image comes from, by the URL that the database's metadata give for it.

The names are those that the study uses. The metadata spell one source in several ways (host alone,
a page below it, a repository's tree), so a source is known by what all spellings share.
"""

import re
from urllib.parse import urlsplit

UNKNOWN = "unknown"
SOURCES = {
    "BIMCV": r"(^|[./])bimcv\b",
    "EURORAD": r"(^|\.)eurorad\.org(/|$)",
    "COVID-CXNet": r"/covid-cxnet\b",
    "covid-chestxray-dataset": r"/covid-chestxray-dataset\b",
    "covid-19-image-repository": r"/covid-19-image-repository\b",
    "SIRM": r"(^|\.)sirm\.org(/|$)",
    "RSNA": r"/rsna-pneumonia-detection-challenge\b",
    "chest-xray-pneumonia": r"/chest-xray-pneumonia\b",
}

_PATTERNS = {name: re.compile(pattern) for name, pattern in SOURCES.items()}
_REPOSITORY_HOSTS = ("github.com", "gitlab.com", "kaggle.com")


def from_url(url: str) -> str:
    """Return the name of the source that ``url`` names.

    Returns:
        A key of ``SOURCES``; for another URL its host, with owner and name of the repository where
        the host holds repositories (``github.com/owner/name``); ``UNKNOWN`` for text without host.
    """
    address = _address(url)
    for name, pattern in _PATTERNS.items():
        if pattern.search(address):
            return name
    host, *path = address.split("/")
    if "." not in host:
        return UNKNOWN
    folders = [part for part in path if part][:2] if host in _REPOSITORY_HOSTS else []
    return "/".join([host, *folders])


def _address(url: str) -> str:
    """Return host and path of ``url`` in lower case, without scheme, ``www.`` and port."""
    url = url.strip().casefold()
    try:
        parts = urlsplit(url if "://" in url else f"//{url}")
        host = parts.hostname or ""
    except ValueError:  # such as an unclosed bracket
        return ""
    return host.removeprefix("www.") + parts.path
