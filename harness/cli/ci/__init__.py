"""Verdicts for a continuous integration server: JUnit XML, annotations of GitHub, and which verdicts fail the job."""
