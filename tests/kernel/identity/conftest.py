from tests.browser_support import browser, visit  # noqa: F401 - fixtures
from tests.support.house import house  # noqa: F401 - a fixture
