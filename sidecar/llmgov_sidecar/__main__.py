"""`python -m llmgov_sidecar`."""

import sys

from llmgov_sidecar import main

sys.exit(main.main(sys.argv[1:]))
