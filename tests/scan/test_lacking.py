"""What a protocol lacks, in a sentence each."""

import numpy as np

from napari_remidi.scan import Protocol, spread_directions
from napari_remidi.scan.lacking import lacking


def test_what_a_protocol_lacks_is_said_in_a_sentence(protocol: Protocol) -> None:
    assert list(lacking(protocol)) == []
    (said,) = lacking(protocol.subset(protocol.is_b0 | (protocol.bvals == 3000)))
    assert said.startswith("all weighted measurements have one b-value, 3000 s/mm²: ")
    bvals, turns = np.r_[0, [1000.0] * 5, [2000.0] * 5], np.linspace(0, 2, 5)
    in_a_plane = np.stack([np.cos(turns), np.sin(turns), 0 * turns], axis=1)
    for directions, known in ((spread_directions(5), 5), (in_a_plane, 3)):
        both_ways = Protocol.pgse(bvals, np.r_[[[0, 0, 0]], directions, -directions], 5, 25)
        (said,) = lacking(both_ways)
        assert said.startswith(f"the gradient directions determine {known} of the 6 numbers of a diffusion tensor: ")
    assert list(lacking(protocol.subset(~protocol.is_b0))) == [
        "the protocol has no b=0 measurement: S0 is taken as known exactly; add some"
    ]
