"""Codes (placeholder: the owner of this file replaces it)."""

CODE_PATTERN = r"^\d{6}\.(SH|SZ|BJ)$"
