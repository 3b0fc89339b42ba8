"""What the site needs of pages that are read elsewhere too: files outside of docs/ that they link to, copied under files/, and
Markdown in what is folded away."""

import posixpath
import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\]\(((?:\.\./)+[^)#\s]+)")


def outside(src_uri, markdown):
    """{link as written: path from the root of the repository} of the links of a page that leave docs/."""
    folder = posixpath.join("docs", posixpath.dirname(src_uri))
    paths = {link: posixpath.normpath(posixpath.join(folder, link)) for link in LINK.findall(markdown)}
    return {link: path for link, path in paths.items() if not path.startswith("docs/")}


def on_files(files, config):
    """Add what the pages link to; a link to nothing is left for MkDocs to refuse."""
    for page in list(files.documentation_pages()):
        for path in outside(page.src_uri, page.content_string).values():
            uri = f"files/{path}"
            if (ROOT / path).is_file() and files.get_file_from_path(uri) is None:
                files.append(File.generated(config, uri, content=(ROOT / path).read_bytes()))
    return files


def on_page_markdown(markdown, page, config, files):
    """Point each such link to the copy, and open what is folded away to Markdown."""
    for link, path in outside(page.file.src_uri, markdown).items():
        target = posixpath.relpath(f"files/{path}", posixpath.dirname(page.file.src_uri) or ".")
        markdown = markdown.replace(f"]({link}", f"]({target}")
    return markdown.replace("<details>", '<details markdown="1">')  # or what is folded away stays as it is written
