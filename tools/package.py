"""Writes the template with the image that its functions run, as every stage then deploys it.

`sam package` would push an image for each function, and ECR refuses a tag that is there already.
So the image is built and pushed once, and all the template lacks is its name.

Usage: python -m tools.package IMAGE [RELEASE] >packaged.yaml
"""

import re
import sys
from pathlib import Path

TEMPLATE = Path(__file__).parent.parent / "template.yaml"


def packaged(image: str, release: str = "") -> str:
    """Return the template with the defaults of ImageUri and Release filled in.

    Args:
        image: The image, by tag or digest.
        release: What names the deployment: letters and digits.
    """
    text = TEMPLATE.read_text()
    for parameter, value in {"ImageUri": image, "Release": release}.items():
        empty = rf'^(  {parameter}:\n(?:    .*\n)*?    Default: )""$'
        # A JSON string would do too, but neither holds what needs one.
        text, count = re.subn(empty, rf'\g<1>"{value}"', text, flags=re.MULTILINE)
        if count != 1:
            raise LookupError(f"{TEMPLATE.name} has no parameter {parameter} with an empty default")
    return text


if __name__ == "__main__":
    sys.stdout.write(packaged(*sys.argv[1:]))
