"""HTTP in, HTTP out: specialties."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request

from config.auth import CallerDep
from config.contracts.hermes_db import (
    Specialty,
    SpecialtyChange,
    SpecialtyInTree,
    SpecialtyName,
    SpecialtyNew,
    SpecialtyPage,
)
from config.errors import Conflict, NotFound, documented
from config.idempotency import KeyDep
from config.pages import PageDep
from hermes_db.specialties import Specialties

router = APIRouter(tags=["specialties"])


async def _specialties(request: Request) -> Specialties:
    specialties: Specialties = request.app.state.specialties
    return specialties


SpecialtiesDep = Annotated[Specialties, Depends(_specialties)]
Name = Annotated[SpecialtyName, Path()]


@router.get("/specialties", summary="List specialties")
async def list_specialties(page: PageDep, specialties: SpecialtiesDep) -> SpecialtyPage:
    return await specialties.page(page)


@router.post("/specialties", status_code=201, summary="Add a specialty", responses=documented(Conflict))
async def add_specialty(body: SpecialtyNew, caller: CallerDep, key: KeyDep, specialties: SpecialtiesDep) -> Specialty:
    return await specialties.add(body, caller, key)


@router.get("/specialties/{name}", summary="Show a specialty and what is around it", responses=documented(NotFound))
async def show_specialty(name: Name, specialties: SpecialtiesDep) -> SpecialtyInTree:
    return await specialties.specialty(name)


@router.patch("/specialties/{name}", summary="Change a specialty, or move it", responses=documented(NotFound, Conflict))
async def change_specialty(
    name: Name, body: SpecialtyChange, caller: CallerDep, specialties: SpecialtiesDep
) -> SpecialtyInTree:
    """Change what is sent and keep the rest. `{"parent": null}` puts it at the top; below itself it cannot go."""
    return await specialties.change(name, body, caller)
