import pytest

from equipoise_service.settings import Settings, SettingsError, load_settings


def test_defaults_without_any_variable() -> None:
    settings = load_settings({})
    assert settings.port == 8400
    assert settings.metadata_url == "sqlite:///equipoise-data/metadata.db"


def test_variables_are_read_and_others_ignored() -> None:
    settings = load_settings({"EQUIPOISE_PORT": "9000", "EQUIPOISE_LOG_LEVEL": "debug", "PATH": "/bin"})
    assert (settings.port, settings.log_level) == (9000, "debug")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("EQUIPOISE_PORT", "eighty"),
        ("EQUIPOISE_PORT", "70000"),
        ("EQUIPOISE_MAX_BODY_BYTES", "-1"),
        ("EQUIPOISE_LOG_LEVEL", "loud"),
        ("EQUIPOISE_DATABASE_URL", "mysql://root:secret@db/x"),
        ("EQUIPOISE_DATABASE_URL", "sqlite:///:memory:"),
        ("EQUIPOISE_DATABASE_URL", "postgresql://root:secret@db"),
        ("EQUIPOISE_DATABASE_URL", "postgresql+psycopg2://root:secret@db/x"),
        ("EQUIPOISE_EVENT_COMMIT_MILLISECONDS", "nan"),
    ],
)
def test_a_wrong_value_is_refused_by_name_and_not_repeated(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({name: value})
    assert str(caught.value).startswith(f"{name}: ")
    assert value not in str(caught.value)


@pytest.mark.parametrize("driver", ["postgresql", "postgresql+psycopg"])
def test_metadata_in_postgresql_are_shared_and_their_password_is_not_shown(driver: str) -> None:
    settings = load_settings({"EQUIPOISE_DATABASE_URL": f"{driver}://root:secret@db/x?sslmode=require"})
    assert settings.is_shared
    assert "secret" not in repr(settings)


def test_every_wrong_value_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({"EQUIPOISE_PORT": "x", "EQUIPOISE_ACCESS_LOG": "perhaps"})
    assert {line.split(":")[0] for line in str(caught.value).splitlines()} == {
        "EQUIPOISE_PORT",
        "EQUIPOISE_ACCESS_LOG",
    }


def test_an_unknown_name_is_refused_with_a_hint() -> None:
    with pytest.raises(SettingsError, match=r"EQUIPOISE_PROT: .*EQUIPOISE_PORT"):
        load_settings({"EQUIPOISE_PROT": "9000"})


def test_every_setting_says_what_it_is() -> None:
    assert all(field.description for field in Settings.model_fields.values())
