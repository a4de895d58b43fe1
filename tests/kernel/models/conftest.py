from tests.browser_support import browser, visit  # noqa: F401
from tests.kernel.models.scale import scale_room  # noqa: F401
