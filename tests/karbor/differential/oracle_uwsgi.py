"""Karbor's application for uWSGI, which looks for `application` here."""
from karbor import i18n

# Before anything else of Karbor's is imported: messages are translated lazily only if asked this early.
i18n.enable_lazy()

import karbor_app  # noqa: E402

application = karbor_app.make(karbor_app.records())
