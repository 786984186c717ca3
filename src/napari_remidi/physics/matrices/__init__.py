"""Finite-element matrices: closed-form integrals (`elements`), summed over a mesh (`assembly`); a substrate's walls
(`walls`), its compartments' own nodes (`doubling`) and the parts between which nothing passes (`pieces`).
"""
