"""`python -m session_service.cli` is `unlatch`."""

import sys

from session_service.cli.program import main

sys.exit(main())
