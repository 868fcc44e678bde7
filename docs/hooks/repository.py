"""Pages that live elsewhere in the repository, and links to them that hold on the site and in the repository alike.

A page's links are written as they hold in the repository; here they are turned into links between the site's pages.
"""

import os
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
OUTSIDE = ("CHANGELOG.md", "hw/README.md", "examples/README.md")
RESULTS = "benchmarks/results"
LINK = re.compile(r"(?P<open>\]\()(?P<target>[^)#\s]+)(?P<rest>[^)]*\))")


def site_uri(path: str) -> str | None:
    """Where the site has a file of the repository; None where it does not."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if path.startswith(f"{RESULTS}/"):
        return "results/" + path.removeprefix(f"{RESULTS}/")
    return path if path in OUTSIDE else None


def repository_path(uri: str) -> str:
    """Inverse of `site_uri`."""
    if uri.startswith("results/") and (ROOT / RESULTS / uri.removeprefix("results/")).is_file():
        return f"{RESULTS}/{uri.removeprefix('results/')}"
    return uri if uri in OUTSIDE else f"docs/{uri}"


def outside_files() -> dict[str, Path]:
    """Name on the site -> file, of all that is not below docs/."""
    found = {name: ROOT / name for name in OUTSIDE}
    for file in sorted((ROOT / RESULTS).rglob("*")):
        if file.suffix in (".md", ".png", ".csv", ".json"):
            found["results/" + file.relative_to(ROOT / RESULTS).as_posix()] = file
    return found


def on_files(files: Files, config: Any) -> Files:
    """Add them."""
    for uri, file in outside_files().items():
        files.append(File.generated(config, uri, abs_src_path=str(file)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Rewrite the links of a page. What the site does not have stays as it is, and is an error of the strict build."""
    here = page.file.src_uri
    source = repository_path(here)

    def moved(match: re.Match[str]) -> str:
        target = match["target"]
        if ":" in target:
            return match[0]
        wanted = os.path.normpath(os.path.join(os.path.dirname(source), target))  # noqa: PTH118, PTH120 (URIs, not paths)
        uri = site_uri(wanted)
        if uri is None:
            return match[0]
        return match["open"] + os.path.relpath(uri, os.path.dirname(here) or ".") + match["rest"]  # noqa: PTH120

    return LINK.sub(moved, markdown)
