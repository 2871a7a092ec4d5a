public import Layers

/// Everything that defines a network but its head.
///
/// The values that all families share are asked for here, so that recipes can set them without knowing the family.
public protocol BackboneConfiguration: Hashable, Sendable {
  /// The layers of each stage, from fine to coarse; one entry for a network without stages.
  var depths: [Int] { get set }
  /// The channels of each stage; one entry for a network without stages.
  var widths: [Int] { get set }
  /// The numbers that a width must be a multiple of.
  var widthUnit: Int { get }
  /// The drop-path rate of the last layer; it rises linearly from 0.
  var dropPath: Double { get set }
  /// The number of image channels.
  var channels: Int { get set }

  /// Declares the network's parameters under their published keys.
  ///
  /// - Parameters:
  ///   - scope: where they go.
  ///   - imageSize: height and width of the images in pixels, for tables of positions; other sizes work too.
  ///   - head: what follows the last stage.
  /// - Returns: the network.
  func makeBackbone(_ scope: Scope, imageSize: (height: Int, width: Int), head: Head) -> any Backbone
}

extension BackboneConfiguration {
  /// The drop-path rate of each layer, stage by stage: rising linearly from 0 over the whole network.
  var dropPathRates: [[Double]] {
    let last = Double(max(1, depths.reduce(0, +) - 1))
    var before = 0
    return depths.map { depth in
      defer { before += depth }
      return (0..<depth).map { dropPath * Double(before + $0) / last }
    }
  }
}
