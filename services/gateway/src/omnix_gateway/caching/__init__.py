"""Answers that are given again, and requests that share one."""
