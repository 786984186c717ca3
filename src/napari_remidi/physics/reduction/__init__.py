"""From large sparse matrices to small dense ones: diffusion modes (`modes`), the Bloch-Torrey equation in them
(`reduced`), and the same as a torch function with the modes frozen (`frozen`).
"""
