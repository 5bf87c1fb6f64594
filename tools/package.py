"""Writes the template with the image that its functions run, as every stage then deploys it.

`sam package` would push an image for each function, and ECR refuses a tag that is there already.
So the image is built and pushed once, and all the template lacks is its name.

Usage: python -m tools.package IMAGE >packaged.yaml
"""

import re
import sys
from pathlib import Path

TEMPLATE = Path(__file__).parent.parent / "template.yaml"


def packaged(**defaults: str) -> str:
    """Return the template with other defaults for its parameters.

    Args:
        defaults: The parameters and their defaults: no text that YAML would have to escape.

    Raises:
        LookupError: The template has no such parameter.
    """
    text = TEMPLATE.read_text()
    for parameter, value in defaults.items():
        default = rf"^(  {parameter}:\n(?:    .*\n)*?    Default: ).*$"
        text, count = re.subn(default, rf'\g<1>"{value}"', text, flags=re.MULTILINE)
        if count != 1:
            raise LookupError(f"{TEMPLATE.name} has no parameter {parameter} with a default")
    return text


def main(image: str) -> None:
    """Print the template with the image that its functions run, by tag or digest."""
    sys.stdout.write(packaged(ImageUri=image))


if __name__ == "__main__":
    main(*sys.argv[1:])
