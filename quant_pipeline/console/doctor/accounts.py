"""The vault and the accounts whose secrets it keeps: whether it opens, and whether they are logged in."""

from __future__ import annotations

from quant_pipeline.console.doctor.findings import Finding, Patient, State
from quant_pipeline.language import say
from quant_pipeline.retelling import retold
from quant_pipeline.ths.accounts import STATES, Accounts
from quant_pipeline.ths.accounts import State as Login
from quant_pipeline.ths.errors import login_command
from quant_pipeline.vault.errors import NoKey, VaultError
from quant_pipeline.vault.vault import Vault


def vault(patient: Patient) -> Finding:
    """Whether SECRET_KEY opens it."""
    keep = Vault(patient.database)
    records = keep.records()
    facts = {"records": len(records)}
    try:
        keep.check()
    except NoKey as error:
        if not records:
            return Finding("vault", State.OK, say("not set up; it is optional (`quant-pipeline vault init`)"), facts=facts)
        return Finding("vault", State.FAILED, retold(str(error)), facts=facts)
    except VaultError as error:
        return Finding("vault", State.FAILED, retold(str(error)), facts=facts)
    return Finding("vault", State.OK, say("it opens; {count} records", count=len(records)), facts=facts)


def ths(patient: Patient) -> Finding:
    """How the accounts of THS stand, as they were last seen: nobody is asked."""
    rows = Accounts(patient.database).all()
    facts = {row.account: row.state.value for row in rows}
    if not rows:
        return Finding("ths account", State.OK, say("none is logged in; it is optional (`quant-pipeline ths login qr`)"))
    words = ", ".join(f"{row.account} {say(STATES[row.state])}" for row in rows)
    if all(row.state is Login.ACTIVE for row in rows):
        return Finding("ths account", State.OK, words, facts=facts)
    out = next(row.account for row in rows if row.state is not Login.ACTIVE)
    command = login_command("qr", out)
    advice = say("see why with `quant-pipeline ths status`, log in with `{command}`", command=command)
    return Finding("ths account", State.WARNING, words, advice, facts)
