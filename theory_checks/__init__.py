"""The theory behind hcp as programs: one file is one claim, checked on instances, and false where it fails.

Each file holds ``CLAIM``, ``SOURCE`` (a paper, or the section of ``docs/theory.md`` that proves it) and
``check(full) -> int``, which raises ``ClaimFailed`` or returns how many instances it went through. What a claim says
(a formula, a bound) is an argument of its check, so that tests can break it and see the check fail.
"""
