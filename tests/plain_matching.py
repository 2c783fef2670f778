"""Distribution matching as it was before its guidance had a draw of its own."""

from fewstep.distill.matching import decoupled_matching_loss


def matching_loss(generated, fake_score, teacher, draw, *, process):
    """The loss without a term for guidance: the teacher is guided already."""
    return decoupled_matching_loss(
        generated, fake_score, teacher, teacher, 1.0, draw, draw, process=process
    )
