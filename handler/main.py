"""``uvicorn handler.main:app``: the application, from the environment and the file ``CONFIG_FILE`` names."""

from handler.composition import compose
from handler.errors import ManifestError, SettingsError
from handler.settings_sources import load_settings

try:
    app = compose(load_settings())
except (SettingsError, ManifestError) as error:
    # One line, no traceback: this is the operator's mistake to read and mend.
    message = f"error: {error}"
    raise SystemExit(message) from None
