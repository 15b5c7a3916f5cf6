"""Starts the server: `python -m mock_im_server --help`."""

import gc
import sys
import traceback

import uvloop

from mock_im_server.app import ServerFailedError, serve, serve_with_workers
from mock_im_server.journal import JournalDamagedError
from mock_im_server.settings import parse
from mock_im_server.shared.supervisor import ProcessFailedError

WRONG_USE = 3
GC_YOUNG_OBJECTS = 200_000


def main() -> int:
    arguments = sys.argv[1:]
    settings = parse(arguments)
    # One tick's frames are thousands of short-lived objects that reference counts free. The default threshold of 700
    # looks at them again and again and moves them to old age: it made a login a third dearer.
    gc.freeze()
    gc.set_threshold(GC_YOUNG_OBJECTS, 20, 20)
    try:
        uvloop.run(
            serve_with_workers(settings, arguments)
            if settings.workers > 1 and not settings.is_worker
            else serve(settings)
        )
    except ServerFailedError as error:
        traceback.print_exception(error.__cause__)
        print(f"mock_im_server: {error}", file=sys.stderr)  # noqa: T201 -- a command's error line
        return WRONG_USE
    except (OSError, ValueError, JournalDamagedError, ProcessFailedError) as error:
        print(f"mock_im_server: {error}", file=sys.stderr)  # noqa: T201 -- a command's error line
        return WRONG_USE
    return 0


if __name__ == "__main__":
    sys.exit(main())
