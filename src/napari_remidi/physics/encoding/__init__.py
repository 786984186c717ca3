"""What gradients do to a reduced model: pulses (`pulses`, `pgse`, `pgse_gradient`), waveforms (`waveform_blocks`,
`splitting`, `waveforms`, `waveform_adjoint`), the time before and after (`echo`), spins that start in the middle of an
open segment (`window`), and a whole protocol of these (`propagation`).
"""
