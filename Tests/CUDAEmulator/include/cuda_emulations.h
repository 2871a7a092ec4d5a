// Kernels for GPUs run on the processor by `emulator.h`, each compared with a definition in double precision. Every function
// gives the largest error relative to the largest value, or -1 if no kernel of such operands is compiled here. `element` is the macro ELEMENT of kernels/prelude.cuh.
#ifndef CUDA_EMULATIONS_H
#define CUDA_EMULATIONS_H
#ifdef __cplusplus
extern "C" {
#endif

double emulate_ss2d_forward(
    int element, int batch, int channels, int height, int width, int state, int rank, int channels_last);
// `which`: 0 x, 1 projection, 2 weight, 3 bias, 4 A, 5 D.
double emulate_ss2d_backward(int element, int batch, int channels, int height, int width, int rank, int which);
double emulate_ss2d_backward_general(
    int element, int batch, int channels, int height, int width, int state, int rank, int which);
// `options`: 1 softplus, 2 D, 4 z, 8 delta bias. `which`: 0 y, 1 last state, then gradients of u, delta, A, B, C, D, z,
// delta bias.
double emulate_selective_scan(
    int element, int batch, int channels, int groups, int state, int length, int options, int which);
// `which`: 0 y, 1 gradient of x, 2 of the weight, 3 of the bias.
double emulate_depthwise(
    int element, int batch, int channels, int height, int width, int kernel, int stride, int padding, int activation,
    int adds_input, int which);
double emulate_map_norm(int element, int batch, int channels, int height, int width, int which);
double emulate_scaled_sum(int element, int batch, int channels, int height, int width, int which);
double emulate_join(int element, int pixels, int channels, int ordered, int backward);

#ifdef __cplusplus
}
#endif
#endif
