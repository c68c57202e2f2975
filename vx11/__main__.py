import sys

from vx11.cli import main

sys.exit(main())
