"""What pytest must not import: Locust patches the whole process on import, so only subprocesses run it."""

import os

# In GitHub Actions an audit annotates the job and adds to its summary; the tests' audits must not.
os.environ.pop("GITHUB_ACTIONS", None)

collect_ignore = ["im_load/scenario.py", "im_load/driver.py"]
