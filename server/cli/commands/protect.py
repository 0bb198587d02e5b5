"""`clip2protect protect`: photos in, protected photos out."""

from __future__ import annotations

import argparse
import json
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from engines import config
from engines.config import AUTO, NO_PROMPT, PROFILES, Settings, Target
from engines.errors import ConfigError, ImageError, ModelError
from engines.files import explained, write_atomic
from engines.makeup.presets import resolve
from engines.models import reference
from engines.models.registry import SPECS
from server.cli.console import complain, printable, say
from server.cli.options import add_device, add_profile, reference_folder
from server.cli.plan import FORMATS, Job, Plan, check_writable, make_plan
from server.cli.saving import protect_one
from server.cli.session import Session
from server.common.errors import reason

if TYPE_CHECKING:
    from engines.report import Report

#: What the file of `--report` says of one photo: its names and its `Report`, or its `error`.
Entry = dict[str, object]
RECOGNISERS = tuple(name for name, spec in SPECS.items() if spec.role == "recogniser")
_KNOWN = {"embedded": RECOGNISERS, "reference": reference.RECOGNISERS}
_DEFAULTS = Settings()


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    """Register the command."""
    parser = commands.add_parser(
        "protect",
        parents=[common],
        help="protect photos, or folders of them",
        description="Change every face so that face recognition no longer matches it.  The result is"
        " NAME-protected.EXT beside the photo, or FOLDER-protected beside a folder.  It has no metadata, and"
        " the input is never overwritten.",
    )
    parser.add_argument("photos", nargs="+", metavar="PHOTO", help="JPEG, PNG or WebP, or a folder of them")
    parser.add_argument(
        "-o", dest="output", metavar="OUT", help="file or folder of the result; a folder for several photos"
    )
    _add_method(parser)
    parser.add_argument(
        "--report", metavar="FILE.json", help="write all that was measured; a list for several photos"
    )
    parser.add_argument(
        "--compare",
        metavar="FILE.png",
        help="write a picture of before and after; a folder for several photos",
    )
    parser.set_defaults(run=run)


def _add_method(parser: argparse.ArgumentParser) -> None:
    def choice(name: str, values: Any, explanation: str) -> None:
        default = getattr(_DEFAULTS, name)
        parser.add_argument(
            f"--{name}", choices=get_args(values), default=default, help=f"{explanation} (default: {default})"
        )

    choice("mode", config.Mode, "dodge: match nobody; impersonate: look like the target")
    parser.add_argument(
        "--target",
        metavar="PHOTO|synthetic[:SEED]|auto",
        help="the person to look like: a generated face (default: synthetic:0), the largest face of a photo,"
        " or the generated face that suits best",
    )
    parser.add_argument(
        "--prompt",
        metavar="TEXT",
        default=_DEFAULTS.prompt,
        help="the makeup of the result, in English words or by a name of `clip2protect prompts list`; auto"
        " chooses one for each face, none leaves makeup out (default: %(default)s)",
    )
    parser.add_argument(
        "--source-text",
        metavar="TEXT",
        default=_DEFAULTS.source_text,
        help="the look of the face in the photo (default: %(default)s)",
    )
    parser.add_argument(
        "--text-model",
        metavar="NAME",
        help="the model that reads prompts: embedded, reference (the paper's CLIP ViT-B/32) or a model of"
        " open_clip (default: as --profile)",
    )
    parser.add_argument("--text-checkpoint", metavar="FILE", help="weights of --text-model")
    choice("level", config.Level, "how much the face may change: more protects better")
    choice("faces", config.Faces, "which faces of a photo to protect; mine: yours, see `clip2protect owner`")
    parser.add_argument(
        "--surrogates",
        metavar="NAMES",
        help="recognisers that the search works against, with commas between, of "
        f"{', '.join(RECOGNISERS)} (default: {','.join(_DEFAULTS.surrogates)}), with --profile reference of"
        f" {', '.join(reference.RECOGNISERS)} (default: {','.join(PROFILES['reference'].surrogates)});"
        " the others only judge",
    )
    parser.add_argument(
        "--render",
        choices=get_args(config.Render),
        help="residual: the photo's own pixels plus a change; generator: the paper's way (default: residual,"
        " with --profile reference generator)",
    )
    add_profile(parser)
    parser.add_argument(
        "--steps",
        type=int,
        metavar="N",
        help="search steps a face (default: 30, with --profile reference 50)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="same seed, same result (default: 0)"
    )
    add_device(parser)


def run(args: argparse.Namespace) -> int:
    """Protect every photo; a failed one is reported and the next begun."""
    settings = _settings(args)
    plan = make_plan(args.photos, output=args.output, compare=args.compare, report=args.report)
    if args.report:
        check_writable(Path(args.report))
    session = _session(args)
    reports = [_failed(path, cause) for path, cause in plan.failures]
    for job in plan.jobs:
        reports.append(_attempt(job, settings, session, debug=args.debug))
        if args.report:  # after every photo, so that an interruption loses no report
            _write_json(Path(args.report), reports if plan.many else reports[0])
    failures = sum("error" in report for report in reports)
    if plan.many:
        say(_summary(plan, len(reports) - failures, failures))
    return 1 if failures else 0


def _session(args: argparse.Namespace) -> Session:
    """The networks of the profile.  Raises ModelError where files of the reference profile are missing."""
    text_model = args.text_model or PROFILES[args.profile].text_model
    where = reference_folder(args, text=text_model == "reference" and args.text_checkpoint is None)
    return Session(args.device, text_model=text_model, text_checkpoint=args.text_checkpoint, reference=where)


def _settings(args: argparse.Namespace) -> Settings:
    profile, known = PROFILES[args.profile], _KNOWN[args.profile]
    surrogates = profile.surrogates
    if args.surrogates is not None:
        surrogates = tuple(name.strip() for name in args.surrogates.split(",") if name.strip())
    for name in surrogates:
        if name not in known:
            raise ConfigError(f"unknown recogniser {name!r}: choose from {', '.join(known)}")
    if args.text_checkpoint is not None and (args.text_model or profile.text_model) == "embedded":
        raise ConfigError("--text-checkpoint needs --text-model NAME, the model whose weights it holds")
    if args.target is not None and args.mode != "impersonate":
        raise ConfigError("--target needs --mode impersonate")
    automatic = args.prompt.strip().lower() == AUTO
    return Settings(
        target=_target(args.target or (AUTO if automatic else "synthetic"))
        if args.mode == "impersonate"
        else None,
        level=args.level,
        faces=args.faces,
        render=args.render or profile.render,
        surrogates=surrogates,
        steps=profile.steps if args.steps is None else args.steps,
        seed=args.seed,
        prompt=_prompt(args.prompt),
        source_text=resolve(args.source_text),
    )


def _prompt(text: str) -> str:
    """A prompt in words, or one of the two words that are none.  Raises ConfigError for an unusable one."""
    word = text.strip().lower()
    return word if word in (AUTO, NO_PROMPT) else resolve(text)


def _target(text: str) -> Target:
    """`synthetic`, `synthetic:SEED`, `auto` or the name of a photo."""
    if text == AUTO or text.partition(":")[0] == "synthetic":
        return Target.parse(text)
    from engines.photo.decode import load_photo

    try:
        load_photo(text)
        return Target(photo=Path(text).read_bytes())
    except (ImageError, OSError) as error:
        raise ConfigError(f"--target: {error}") from error


def _attempt(job: Job, settings: Settings, session: Session, *, debug: bool) -> Entry:
    """The report of one photo, with `error` in it if that photo failed.

    ConfigError and ModelError pass: they would befall every other photo too.
    """
    try:
        from engines.photo.decode import load_photo

        photo = load_photo(job.source)
        _check_suffix(job, photo.format)
        for path in filter(None, (job.output, job.comparison)):
            _make_folder(path)
        protected = protect_one(job, photo, settings, session)
    except (ConfigError, ModelError):
        raise
    except Exception as error:
        if debug:
            traceback.print_exc()
        return _failed(job.source, reason(error))
    say(_closing_line(job, protected.report))
    return {"input": str(job.source), "output": str(job.output), **protected.report}


def _failed(path: Path, cause: str) -> Entry:
    name = printable(path)
    cause = cause.removeprefix(f"{name}: ")
    complain(f"{name}: {cause}")
    return {"input": str(path), "error": cause}


def _check_suffix(job: Job, kind: str) -> None:
    """Refuse a name that says another format than the one that will be written, the input's."""
    suffix = job.output.suffix.lower()
    if suffix != job.source.suffix.lower() and FORMATS.get(suffix, kind) != kind:
        raise ConfigError(f"-o {job.output}: a {kind} photo stays a {kind}, give the result such a name")


def _make_folder(path: Path) -> None:
    if not path.parent.exists():
        with explained(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)


def _write_json(path: Path, content: object) -> None:
    write_atomic(path, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "replace"))


def _closing_line(job: Job, report: Report) -> str:
    """What became of a photo, in one line that also says what still matches."""
    faces = report["faces"]
    still = dict.fromkeys(
        name if result["surrogate"] else f"{name} (held out)"
        for face in faces
        for name, result in face["recognisers"].items()
        if result["matched_after"]
    )
    parts = [
        f"{len(faces)} {'face' if len(faces) == 1 else 'faces'} in {report['seconds']:.0f} s",
        f"face PSNR {min(face['psnr'] for face in faces):.1f} dB",
        f"still matched by {', '.join(still)}" if still else "matched by no recogniser here",
    ]
    return f"{printable(job.source)} -> {printable(job.output)}: {', '.join(parts)}"


def _summary(plan: Plan, done: int, failed: int) -> str:
    skipped = ", ".join(f"{count} {kind}" for kind, count in sorted(plan.skipped.items()))
    return f"{done} protected, {failed} failed" + (f", skipped: {skipped}" if skipped else "")
