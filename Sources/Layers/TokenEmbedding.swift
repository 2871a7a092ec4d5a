public import Torch

/// An image as a sequence of tokens: a projection of each patch, class tokens between them, and a learned vector for
/// each place.
///
/// Dosovitskiy et al., "ViT" (2010.11929), section 3.1. Images that the patches do not cover get rows and columns of
/// zeros below and to the right, and for a grid other than the table's the table is resized, both as timm does for
/// images of dynamic size.
public struct TokenEmbedding {
  private let patches: Conv2d
  private let extras: [Tensor]
  private let table: Tensor
  private let grid: PositionGrid
  private let patch: Int
  private let stride: Int

  /// Declares `patch_embed.proj`, the class tokens and `pos_embed`, which do not decay.
  ///
  /// - Parameters:
  ///   - scope: where the parameters go.
  ///   - channels: image channels.
  ///   - width: channels of a token.
  ///   - patch: the side of a patch in pixels.
  ///   - stride: pixels between patches; a patch's side if absent.
  ///   - imageSize: height and width of the images that the table is for, in pixels.
  ///   - extra: where class tokens are: one is `cls_token`, two are `cls_token_head` and `cls_token_tail`.
  ///   - initializer: how the projection starts.
  public init(
    _ scope: Scope, channels: Int, width: Int, patch: Int, stride: Int? = nil,
    imageSize: (height: Int, width: Int), extra: PositionGrid.Extra, initializer: Initializer
  ) {
    let stride = stride ?? patch
    func count(_ pixels: Int) -> Int { Self.count(pixels, patch: patch, stride: stride) }
    grid = PositionGrid(height: count(imageSize.height), width: count(imageSize.width), extra: extra)
    let names =
      switch grid.extraCount {
      case 0: [String]()
      case 1: ["cls_token"]
      case 2: ["cls_token_head", "cls_token_tail"]
      default: fatalError("TokenEmbedding `\(scope.key)`: there are at most 2 class tokens, got \(extra)")
      }
    extras = names.map {
      scope.parameter($0, [1, 1, width], .truncatedNormal(deviation: 0.02), decays: false)
    }
    table = scope.positionTable("pos_embed", grid, channels: width, decays: false)
    patches = Conv2d(
      scope["patch_embed.proj"], channels, width, kernel: patch, stride: stride, padding: 0,
      initializer: initializer)
    scope["patch_embed.proj"].adapts("weight", as: .imageChannels)
    self.patch = patch
    self.stride = stride
  }

  /// The patches along a side; those that reach over the edge count.
  private static func count(_ pixels: Int, patch: Int, stride: Int) -> Int {
    (max(0, pixels - patch) + stride - 1) / stride + 1
  }

  /// The tokens `[B, tokens, C]` of images `[B, 3, H, W]`, and what they are.
  public func callAsFunction(_ images: Tensor) -> (tokens: Tensor, grid: PositionGrid) {
    let (B, _, H, W) = images.shape4
    require(
      min(H, W) >= patch,
      "images must be at least \(patch) by \(patch) pixels, one patch, got \(H) by \(W); enlarge them first")
    let grid = PositionGrid(
      height: Self.count(H, patch: patch, stride: stride), width: Self.count(W, patch: patch, stride: stride),
      extra: grid.extra)
    let missing = (
      below: (grid.height - 1) * stride + patch - H, right: (grid.width - 1) * stride + patch - W
    )
    let covered = missing == (0, 0) ? images : images.padded([0, missing.right, 0, missing.below])
    let positions = patches(covered).flatten(from: 2).transpose(1, 2)  // [B, n, C]
    let tokens = grid.tokens(
      positions,
      extras: extras.isEmpty ? nil : concatenate(extras, along: 1).expand([B, extras.count, -1]))
    return (tokens + self.grid.resized(table, to: grid), grid)
  }
}
