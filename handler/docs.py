"""The description of the HTTP surface, and a page to read it and try it on."""

from pathlib import Path
from string import Template

from aws_lambda_powertools import event_handler

_DOCUMENT = Path(__file__).with_name("openapi.json")
# Powertools ships Swagger UI. Its own page, in that folder's html.py, cannot be imported here:
# the package around it needs pydantic, which the image has not.
_SWAGGER_UI = Path(event_handler.__file__).parent / "openapi" / "swagger_ui"

# Everything is in the page itself; what it asks for is this store's and nobody else's.
PAGE_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

# The document's address is relative, so that it also holds below a stage's name. Without a
# validatorUrl of null, Swagger UI would show the document to a service on the internet.
_PAGE = Template("""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>kv-store</title>
<link rel="icon" href="data:,">
<style>$style</style>
</head>
<body>
<div id="swagger-ui"></div>
<script>$script</script>
<script>
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  tryItOutEnabled: true,
  validatorUrl: null,
});
</script>
</body>
</html>
""")


def document() -> str:
    """Return the OpenAPI document, which ``python -m tools.openapi`` writes."""
    return _DOCUMENT.read_text(encoding="utf-8")


def page() -> str:
    """Return Swagger UI as one page; at 1.7 MB it is read when it is asked for, and not kept."""
    return _PAGE.substitute(
        style=(_SWAGGER_UI / "swagger-ui.min.css").read_text(encoding="utf-8"),
        script=(_SWAGGER_UI / "swagger-ui-bundle.min.js").read_text(encoding="utf-8"),
    )
