"""Which collection of radiographs an image comes from, by the URL in the database's metadata.

The names are those that the study uses, which calls collections sources. The metadata spell one
source in several ways (the host alone, a page below it, the tree of a repository), so a source is
recognised by what all spellings have in common.
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
    """Return the name of the source that ``url`` refers to.

    Returns:
        A key of ``SOURCES``; for another URL its host, with owner and name of the repository if the
        host holds repositories (``github.com/owner/name``); ``UNKNOWN`` for text without a host.
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
    """Return host and path of ``url`` in lower case, without scheme, ``www.`` or port."""
    url = url.strip().casefold()
    try:
        parts = urlsplit(url if "://" in url else f"//{url}")
        host = parts.hostname or ""
    except ValueError:  # such as an unclosed bracket
        return ""
    return host.removeprefix("www.") + parts.path
