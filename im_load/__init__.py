"""The harness: plans a run, plays it with Locust, and keeps what the clients saw."""
