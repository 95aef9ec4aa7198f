"""The user's 同花顺 account: logins, sessions, re-login, the groups of its watchlists.

Nothing of it is described by its owner: paths, fields and codes are those that public programs use, and they may change any
day. Users act on their own account. Where a slider or another captcha is asked for, a person is; nothing here solves one.
"""
