"""The route of the glossary."""

from fastapi import APIRouter

from equipoise_service.accounts.principals import Reader
from equipoise_service.glossary.schemas import TermOut
from equipoise_service.http.problems import problems
from equipoise_service.texts.glossary import TERMS

router = APIRouter(prefix="/v1", tags=["readouts"], responses=problems(503))


@router.get("/glossary", summary="Read the glossary", responses=problems(401, 403))
def read(_: Reader) -> list[TermOut]:
    """What the words of readouts, plans and checks mean, in alphabetical order."""
    return [TermOut(term=each.name, meaning=each.meaning, forms=list(each.forms)) for each in TERMS]
