"""Providers' keys of a folder, in memory only: from its Secrets, or the environment where a value is `env:NAME`."""

import base64
import binascii
from collections.abc import Iterable, Mapping

from llmgov import problems, resources
from llmgov_cli import manifests

FROM_ENVIRONMENT = "env:"


def keys(
    found: Iterable[manifests.Manifest], declared: Iterable[manifests.Declared], environment: Mapping[str, str]
) -> tuple[dict[str, str], list[manifests.Finding]]:
    """Every ProviderCredential's key by the credential's `namespace/name`, and what is wrong with the others.

    A Secret or entry that is not there is the compiler's finding, not one of these. No finding repeats a value.
    """
    secrets = {_name(manifest): manifest for manifest in found if manifest.kind == "Secret"}
    made: dict[str, str] = {}
    findings: list[manifests.Finding] = []
    for each in declared:
        if not isinstance(each.resource, resources.ProviderCredential):
            continue
        reference = each.resource.spec.secret_ref
        secret = secrets.get((each.resource.metadata.namespace or "", reference.name))
        if secret is None:
            continue
        value = _value(secret, reference.key, environment)
        if isinstance(value, str):
            made[f"{each.resource.metadata.namespace}/{each.resource.metadata.name}"] = value
        else:
            findings += value
    return made, findings


def _name(manifest: manifests.Manifest) -> tuple[str, str]:
    metadata = manifest.raw.get("metadata")
    if not isinstance(metadata, dict):
        return "", ""
    return str(metadata.get("namespace", "")), str(metadata.get("name", ""))


def _value(secret: manifests.Manifest, key: str, environment: Mapping[str, str]) -> str | list[manifests.Finding]:
    plain, encoded = secret.raw.get("stringData") or {}, secret.raw.get("data") or {}
    if key in plain:
        text = str(plain[key])
    elif key in encoded:
        try:
            text = base64.b64decode(str(encoded[key]), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return _wrong(secret, f"data.{key}", "is not base64 of a text", "encode it, or write it in stringData")
    else:
        return []
    if not text.startswith(FROM_ENVIRONMENT):
        return text.strip() or _wrong(secret, f"stringData.{key}", "is empty", "write the key or env:NAME")
    variable = text.removeprefix(FROM_ENVIRONMENT).strip()
    value = environment.get(variable, "").strip()
    return value or _wrong(secret, f"stringData.{key}", f"the variable {variable} is not set", f"export {variable}")


def _wrong(secret: manifests.Manifest, field: str, message: str, remedy: str) -> list[manifests.Finding]:
    namespace, name = _name(secret)
    reference = problems.ResourceRef("Secret", name, namespace)
    return [manifests.located(secret, problems.Problem("SecretUnusable", reference, field, message, remedy))]
