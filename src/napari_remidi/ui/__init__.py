"""The window: napari's reader, writer, sample data and the widgets *Axon reconstruction* and *Prior explorer*.

What the user does, in order, and the file that does it: open a scan (`reader`, `sample`), choose it with its timing
(`source`), click a voxel (`picking`), see its signal (`plot`), choose how to reconstruct (`choices`), press Reconstruct
(`run`), watch the surface grow in the scan and in the microscope (`stage`, `layers`, `microscope`), read the figures
(`readout`), save (`writer`). `session` and `status` hold the state, without Qt; `widget` connects it all.

Of the prior explorer, `latent` is the model without Qt, `sliders` and `prior_stage` show it, `explorer` connects them.

napari loads these files by name from ``napari.yaml``; nothing is imported here, so that the manifest's readers and
writers work without Qt.
"""
