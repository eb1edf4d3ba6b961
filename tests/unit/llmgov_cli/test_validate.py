"""`llmgov validate` over one invalid file a rule, each with the exact output beside it.

After a change of a sentence: `LLMGOV_UPDATE_GOLDEN=1 pytest tests/unit/llmgov_cli/test_validate.py`, and read the diff.
"""

import contextlib
import io
import os
import pathlib

import pytest

from llmgov.resources import KINDS, outline, parsing, scalars, text, translate
from llmgov_cli import absences, assembly, errors, manifests, prices, validate

FOLDER = pathlib.Path(__file__).parents[2] / "golden" / "invalid"
FILES = sorted(FOLDER.glob("*.yaml"))

IN_CODE_ONLY = {"Emptied", "NotAnObject", "NotJson"}
"""No file can hold these: what is no object is no resource at all, and all that YAML is read into can be JSON."""


def _output(name: str, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    monkeypatch.chdir(FOLDER)
    out = io.StringIO()
    try:
        code = validate.run([pathlib.Path(name)], out)
    except errors.CommandError:
        code = 2
    return code, out.getvalue()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_an_invalid_file_is_explained_in_exactly_these_words(
    file: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, output = _output(file.name, monkeypatch)
    beside = file.with_suffix(".txt")
    if os.environ.get("LLMGOV_UPDATE_GOLDEN"):
        beside.write_text(output)
    assert output == beside.read_text()
    assert code == (2 if "[NoResources]" in output else 0 if ", 0 errors," in output else 1)


def test_every_code_has_an_invalid_file() -> None:
    findings = [finding for file in FILES for finding in assembly.compile_files([file], prices.prices()).findings]
    assert _codes() - IN_CODE_ONLY <= {finding.problem.code for finding in findings}


def test_every_sentence_of_a_rule_or_format_is_shown_by_an_invalid_file() -> None:
    shown = "".join(file.with_suffix(".txt").read_text() for file in FILES)
    assert [sentence for sentence in _sentences() if sentence not in shown] == []


def test_no_golden_file_is_left_over() -> None:
    assert sorted(file.stem for file in FOLDER.glob("*.txt")) == sorted(file.stem for file in FILES)


def _codes() -> set[str]:
    rules = {rule.code for model in _models() for rule in model.invariants}
    formats = {form.code for form in _formats()}
    return rules | formats | {*parsing.CODES, *translate.CODES, *manifests.CODES, *absences.CODES}


def _sentences() -> set[str]:
    rules = {f": {rule.message}; {rule.remedy}" for model in _models() for rule in model.invariants}
    formats = {form.message for form in _formats()}
    checks = {form.check.message for form in _formats() if form.check is not None}
    return rules | formats | checks


def _formats() -> list[text.Text]:
    annotations = [value for value in vars(scalars).values() if hasattr(value, "__metadata__")]
    return [part for value in annotations for part in value.__metadata__ if isinstance(part, text.Text)]


def _models() -> set[type[outline.Model]]:
    found: set[type[outline.Model]] = set()
    waiting: list[type[outline.Model]] = list(KINDS.values())
    while waiting:
        model = waiting.pop()
        if model not in found:
            found.add(model)
            waiting += [field.model for field in outline.fields(model).values() if field.model is not None]
    return found


def test_a_valid_folder_is_only_counted(tmp_path: pathlib.Path) -> None:
    tmp_path.joinpath("team.yaml").write_text(
        "apiVersion: llmgov.dev/v1alpha1\nkind: Team\nmetadata: {name: payments}\nspec: {}\n"
    )
    out = io.StringIO()
    assert validate.run([tmp_path], out) == 0
    assert out.getvalue() == "1 valid resource, 0 errors, 0 warnings\n"


COMPILER = pathlib.Path(__file__).parents[2] / "golden" / "compiler"


def test_what_shows_only_across_resources_is_told_at_its_place(tmp_path: pathlib.Path) -> None:
    folder = "apiVersion: llmgov.dev/v1alpha1\nkind: Team\nmetadata: {name: payments}\nspec:\n  parent: nobody\n"
    tmp_path.joinpath("team.yaml").write_text(folder)
    out = io.StringIO()
    assert validate.run([tmp_path], out) == 1
    assert out.getvalue().startswith(f"{tmp_path / 'team.yaml'}:5: Team/payments spec.parent: ")


def test_a_resource_that_is_there_twice_is_told_at_the_second_place(tmp_path: pathlib.Path) -> None:
    team = "apiVersion: llmgov.dev/v1alpha1\nkind: Team\nmetadata: {name: payments}\nspec: {}\n"
    tmp_path.joinpath("a.yaml").write_text(team)
    tmp_path.joinpath("b.yaml").write_text(f"\n{team}")
    out = io.StringIO()
    assert validate.run([tmp_path], out) == 1
    assert out.getvalue().startswith(f"{tmp_path / 'b.yaml'}:2: Team/payments: is there twice")


@pytest.mark.parametrize("file", sorted(COMPILER.glob("*/input.yaml")), ids=lambda file: file.parent.name)
def test_the_compilers_cases_are_all_told_with_a_line(file: pathlib.Path) -> None:
    out = io.StringIO()
    with contextlib.suppress(errors.CommandError):
        validate.run([file], out)
    assert all(line.startswith(f"{file}:") for line in out.getvalue().splitlines()[:-1])


def test_a_team_that_cannot_be_read_is_not_called_unknown_as_well(tmp_path: pathlib.Path) -> None:
    head = "apiVersion: llmgov.dev/v1alpha1\n"
    tmp_path.joinpath("all.yaml").write_text(
        f"{head}kind: Team\nmetadata: {{name: a}}\nspec: {{parent: 5}}\n---\n"
        f"{head}kind: Budget\nmetadata: {{name: a, namespace: llm-governance}}\n"
        'spec: {target: {team: a}, limit: "5", period: Day}\n'
    )
    out = io.StringIO()
    validate.run([tmp_path], out)
    assert "UnknownTeam" not in out.getvalue()
    assert out.getvalue().endswith("1 valid resource, 1 error, 0 warnings\n")


HEAD = "apiVersion: llmgov.dev/v1alpha1\n"
CREDENTIAL = (
    HEAD + "kind: ProviderCredential\nmetadata: {name: openai, namespace: llm-governance}\n"
    "spec: {provider: openai, secretRef: {name: key, key: api-key}}\n"
)
SECRET = (
    "---\napiVersion: v1\nkind: Secret\n"
    "metadata: {{name: {name}, namespace: llm-governance}}\nstringData: {{{key}: x}}\n"
)
POLICY = HEAD + "kind: LLMPolicy\nmetadata: {name: x, namespace: shoop}\nspec: {modelAccess: {allow: ['*']}}\n"
NAMESPACE = "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n"


def _validated(tmp_path: pathlib.Path, text: str) -> tuple[int, str]:
    tmp_path.joinpath("all.yaml").write_text(text)
    out = io.StringIO()
    return validate.run([tmp_path], out), out.getvalue()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(CREDENTIAL, "", id="a folder without Secrets does not know which there are"),
        pytest.param(CREDENTIAL + SECRET.format(name="key", key="api-key"), "", id="the Secret is there"),
        pytest.param(CREDENTIAL + SECRET.format(name="kye", key="api-key"), "[SecretNotFound]", id="another name"),
        pytest.param(CREDENTIAL + SECRET.format(name="key", key="key"), "[SecretKeyMissing]", id="another entry"),
    ],
)
def test_a_folder_with_secrets_is_taken_to_hold_all(tmp_path: pathlib.Path, text: str, said: str) -> None:
    code, output = _validated(tmp_path, text)
    assert said in output
    assert (code, output.count("\n")) == ((1, 2) if said else (0, 1))


@pytest.mark.parametrize(
    ("text", "warned"),
    [
        pytest.param(POLICY, False, id="a folder that names no namespace does not know which there are"),
        pytest.param(POLICY + NAMESPACE, True, id="a folder that names some is taken to name all"),
        pytest.param(POLICY + NAMESPACE + NAMESPACE.replace("shop", "shoop"), False, id="it is named"),
    ],
)
def test_a_policy_in_a_namespace_that_does_not_exist_governs_nobody(
    tmp_path: pathlib.Path, text: str, warned: bool
) -> None:
    code, output = _validated(tmp_path, text)
    assert code == 0
    assert (
        "all.yaml:3: warning: LLMPolicy/shoop/x metadata.namespace: there is no namespace shoop" in output
    ) is warned


def test_a_folder_without_resources_is_warned_of(tmp_path: pathlib.Path) -> None:
    out = io.StringIO()
    with pytest.raises(errors.CommandError, match=f"no resource found in {tmp_path}"):
        validate.run([tmp_path], out)
    assert out.getvalue().startswith(f"{tmp_path}: warning: holds no resource, so nothing is governed; ")
    assert out.getvalue().endswith("0 valid resources, 0 errors, 1 warning\n")


def test_a_resource_with_an_error_across_resources_is_not_valid(tmp_path: pathlib.Path) -> None:
    budget = HEAD + "kind: Budget\nmetadata: {name: b, namespace: llm-governance}\n"
    _, output = _validated(tmp_path, budget + 'spec: {target: {team: ghosts}, limit: "5", period: Day}\n')
    assert output.endswith("\n0 valid resources, 1 error, 0 warnings\n")


@pytest.mark.parametrize("path", ["nothing/*.yaml", "/dev/null", "empty"], ids=["a wrong glob", "no file", "a folder"])
def test_where_nothing_is_found_nothing_was_validated(
    path: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pathlib.Path("empty").mkdir()
    with pytest.raises(errors.CommandError, match="no resource found in "):
        validate.run([pathlib.Path(path)], io.StringIO())


def test_a_missing_file_beside_others_is_an_error_among_theirs(tmp_path: pathlib.Path) -> None:
    team = tmp_path / "team.yaml"
    team.write_text(_TEAM)
    assert validate.run([team, tmp_path / "missing.yaml"], io.StringIO()) == 1


_TEAM = "apiVersion: llmgov.dev/v1alpha1\nkind: Team\nmetadata: {name: payments}\nspec: {}\n"
_BUDGETS = "".join(
    f"apiVersion: llmgov.dev/v1alpha1\nkind: Budget\nmetadata: {{name: {team}, namespace: llm-governance}}\n"
    f'spec: {{target: {{team: {team}}}, limit: "5", period: Month}}\n---\n'
    for team in ("payments", "paymentz")
)


@pytest.mark.parametrize(
    "team",
    [_TEAM.replace("{}", "{membres: []}"), _TEAM + "  - [", _TEAM + _TEAM, None],
    ids=["a schema error", "no YAML", "a key twice", "nobody declares it"],
)
def test_only_what_a_faulty_document_declares_is_not_missed(tmp_path: pathlib.Path, team: str | None) -> None:
    """The other team is unknown, whatever else is wrong; and so is this one where no document declares it."""
    (tmp_path / "budgets.yaml").write_text(_BUDGETS)
    (tmp_path / "team.yaml").write_text(team or "apiVersion: llmgov.dev/v1alpha1\nkind: Team\nmetadata: {name: x}\n")
    out = io.StringIO()
    assert validate.run([tmp_path], out) == 1
    assert "spec.target.team: there is no Team paymentz" in out.getvalue()
    assert ("there is no Team payments;" in out.getvalue()) is (team is None)


def test_a_key_twice_hides_no_other_mistake_of_its_file(tmp_path: pathlib.Path) -> None:
    (tmp_path / "all.yaml").write_text(f"{_TEAM}spec: {{}}\n---\n{_BUDGETS}")
    out = io.StringIO()
    assert validate.run([tmp_path], out) == 1
    assert f"{tmp_path}/all.yaml:5: has the key spec twice" in out.getvalue()
    assert "spec.target.team: there is no Team paymentz" in out.getvalue()
    assert out.getvalue().endswith("\n0 valid resources, 2 errors, 0 warnings\n")
