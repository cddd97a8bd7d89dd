"""Draw: the bytes come through the same doors as every retrieval, decided and recorded there; then they are drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from adapters.dicom.client import parts
from hie_node.acts import Act
from hie_node.flows.fetch import fetch_study, retrieve_study
from hie_node.flows.find import read_study
from hie_node.flows.read_remote import read_study_anywhere
from hie_node.flows.streaming import Begun
from hie_node.pictures import LARGEST, pencil
from registry.commands import (
    DrawImage,
    DrawnImage,
    DrawnImages,
    ReadStudy,
    RelayedStudy,
    RetrievedStudy,
    RetrieveStudy,
)
from registry.errors import NotDrawable, NotFound, NotUnique
from registry.studies import PictureWish, Study

Retrieve = Callable[[Act, RetrieveStudy], RetrievedStudy | RelayedStudy]


def draw_image(act: Act, command: DrawImage) -> DrawnImage | DrawnImages:
    """WADO-RS rendered and thumbnail of this node's own images."""
    if command.every:
        return _draw_every(act, command, retrieve_study)
    if command.frames:
        return _draw_frames(act, command, retrieve_study)
    if command.sop_instance_uid is None:
        with act.house.storage.read() as unit:
            own = unit.studies.by_uid(command.study_instance_uid)
        if own is None:
            raise NotFound("study")
        command = _middle(read_study(_before(act), ReadStudy(own.id)), command)
    return _draw(act, command, retrieve_study)


def draw_image_anywhere(act: Act, command: DrawImage) -> DrawnImage | DrawnImages:
    """The same over the network; drawn here, so that no peer decodes what this node asks for."""
    if command.every:
        return _draw_every(act, command, fetch_study)
    if command.frames:
        return _draw_frames(act, command, fetch_study)
    if command.sop_instance_uid is None:
        command = _middle(read_study_by_uid(_before(act), command.study_instance_uid), command)
    return _draw(act, command, fetch_study)


def _before(act: Act) -> Act:
    """An exchange of its own: each question to a peer carries a token of one use."""
    return replace(act.fork(), exchange="")


def read_study_by_uid(act: Act, study_instance_uid: str) -> Study:
    """The study of the own index, or of the one hospital that listed it; never a guess."""
    with act.house.storage.read() as unit:
        own = unit.studies.by_uid(study_instance_uid)
        listed = () if own else unit.remote.of_study(study_instance_uid)
    if own is not None:
        return read_study(act, ReadStudy(own.id))
    if len({entry.home for entry in listed}) > 1:
        raise NotUnique("study")
    if not listed:
        raise NotFound("study")
    return read_study_anywhere(act, ReadStudy(listed[0].id))


def _middle(study: Study, command: DrawImage) -> DrawImage:
    """The image in the middle says most of a series. Raises NotFound where there is none."""
    for series in study.series:
        if command.series_instance_uid in (None, series.series_instance_uid) and series.instances:
            uid = series.middle.sop_instance_uid
            return DrawImage(study.study_instance_uid, command.wish, series.series_instance_uid, uid)
    raise NotFound("series")


def _draw(act: Act, command: DrawImage, retrieve: Retrieve) -> DrawnImage:
    content = _content(act, command, retrieve)
    with pencil() as drawing:
        return DrawnImage(command.wish.media_type, drawing.drawn(content, command.wish))


def _content(act: Act, command: DrawImage, retrieve: Retrieve) -> bytes:
    """The one object, which is fetched once however many of its frames are drawn."""
    wanted = RetrieveStudy(command.study_instance_uid, command.series_instance_uid, command.sop_instance_uid)
    content = b""
    for one in images_of(retrieve(act, wanted)):
        content = whole(one)
    return content


def _draw_frames(act: Act, command: DrawImage, retrieve: Retrieve) -> DrawnImages:
    """A list that names a frame too many is refused as a whole. Raises NotFound."""
    content = _content(act, command, retrieve)
    with pencil() as drawing:
        drawing.drawn(content, replace(command.wish, frame=max(command.frames)))
    pictures = (_frame(content, replace(command.wish, frame=frame)) for frame in command.frames)
    return DrawnImages(command.wish.media_type, Begun(pictures))


def _frame(content: bytes, wish: PictureWish) -> bytes:
    """A fork for each, so that others have their turn between."""
    with pencil() as drawing:
        return drawing.drawn(content, wish)


def _draw_every(act: Act, command: DrawImage, retrieve: Retrieve) -> DrawnImages:
    """Each drawn as it comes; what cannot be drawn at once is answered, and later breaks the answer off."""
    wanted = RetrieveStudy(command.study_instance_uid, command.series_instance_uid)
    return DrawnImages(command.wish.media_type, Begun(_pictures(images_of(retrieve(act, wanted)), command.wish)))


def _pictures(images: Iterator[Iterable[bytes]], wish: PictureWish) -> Iterator[bytes]:
    """A fork for each, so that others who wait for one have their turn between. What is no image is passed over."""
    is_empty = True
    for one in images:
        content = whole(one)
        try:
            with pencil() as drawing:
                picture = drawing.drawn(content, wish)
        except NotDrawable as error:
            if error.is_empty:
                continue
            raise
        is_empty = False
        yield picture
    if is_empty:
        raise NotDrawable("holds no picture", is_empty=True)


def images_of(answer: RetrievedStudy | RelayedStudy) -> Iterator[Iterable[bytes]]:
    """Each object of an answer, to be read before the next is asked for."""
    if isinstance(answer, RelayedStudy):
        yield from (part.chunks for part in parts(answer.content_type, answer.content))
        for _ in answer.content:
            pass  # what is not read to its end is on record as broken off
        return
    yield from (content for _, content in answer.instances)


def whole(chunks: Iterable[bytes]) -> bytes:
    """One object in memory; raises NotDrawable past the limit."""
    gathered = bytearray()
    for chunk in chunks:
        gathered += chunk
        if len(gathered) > LARGEST:
            raise NotDrawable(f"larger than {LARGEST >> 20} MiB")
    return bytes(gathered)
