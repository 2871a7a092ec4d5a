import Foundation

/// A line under a picture: a name and a share that is shown as a bar.
public struct CaptionLine: Hashable, Sendable {
  /// The name.
  public let name: String
  /// The share, 0...1.
  public let share: Double

  /// A line of these parts.
  public init(_ name: String, _ share: Double) {
    self.name = name
    self.share = share
  }
}

extension Image {
  /// The picture over a panel of names and bars; nothing of the picture is covered.
  ///
  /// The text grows with the picture. A picture narrower than 440 pixels is enlarged by a whole factor, each pixel
  /// becoming a square, so that the text has room; one that would become too tall stands in the middle instead.
  public func captioned(_ lines: [CaptionLine]) -> Image {
    let picture = enlarged(toWidth: 440, heightLimit: 2000)
    let layout = CaptionLayout(pictureHeight: picture.height, pictureWidth: picture.width)
    let panelHeight = layout.height(lines: lines.count)
    var panel = Image(
      height: panelHeight, width: picture.width, red: background.x, green: background.y, blue: background.z)
    for (index, line) in lines.enumerated() { panel.draw(line, index, layout) }
    return Image(
      height: picture.height + panelHeight, width: picture.width, pixels: picture.pixels + panel.pixels)
  }

  private func enlarged(toWidth narrowest: Int, heightLimit: Int) -> Image {
    let factor = max(1, min((narrowest + width - 1) / width, heightLimit / height))
    let picture = resized(height: height * factor, width: width * factor, filter: .box)
    guard picture.width < narrowest else { return picture }
    let middle = PixelRectangle(
      left: (picture.width - narrowest) / 2, top: 0, height: picture.height, width: narrowest)
    return picture.cropped(to: middle, fill: background.x)
  }

  private mutating func draw(_ line: CaptionLine, _ index: Int, _ layout: CaptionLayout) {
    let (text, isFirst) = (layout.text, index == 0)
    let (weight, ink) = isFirst ? (0.15, brightInk) : (0.11, quietInk)
    let top = layout.top(line: index)
    let name = StrokeFont.plain.fitted(line.name, to: layout.nameWidth / text * StrokeFont.capitalHeight)
    draw(name, left: layout.margin, top: top, height: text, weight: weight, color: ink)

    let barHeight = text * 0.72
    let barTop = top + (text - barHeight) / 2
    let share = min(max(line.share, 0), 1)
    drawBar(left: layout.barLeft, top: barTop, width: layout.barWidth, height: barHeight, color: track)
    if share * layout.barWidth >= 1 {
      drawBar(
        left: layout.barLeft, top: barTop, width: share * layout.barWidth, height: barHeight,
        color: isFirst ? brightBar : quietBar)
    }

    let percent = String(format: "%.1f %%", 100 * share)
    let width = StrokeFont.plain.width(of: percent) * text / StrokeFont.capitalHeight
    draw(percent, left: layout.right - width, top: top, height: text, weight: weight, color: ink)
  }
}

/// Where the parts of a caption stand, in pixels.
private struct CaptionLayout {
  let text: Double
  let margin: Double
  let right: Double

  init(pictureHeight: Int, pictureWidth: Int) {
    // A panorama's caption is that of its height, not of its width.
    let width = min(Double(pictureWidth), 2.5 * max(Double(pictureHeight), 176))
    text = width / 44
    margin = 1.6 * text
    right = width - margin
  }

  var nameWidth: Double { 0.5 * (right - margin) }
  var barLeft: Double { margin + nameWidth + text }
  var barWidth: Double { right - barLeft - 6.5 * text }

  func top(line: Int) -> Double { 1.6 * text + Double(line) * 2.2 * text }
  func height(lines: Int) -> Int { Int((top(line: max(0, lines - 1)) + 2.6 * text).rounded(.up)) }
}

private let background = Color(22, 25, 31)
private let brightInk = Color(255, 255, 255)
private let quietInk = Color(176, 184, 198)
private let brightBar = Color(52, 211, 180)
private let quietBar = Color(96, 124, 168)
private let track = Color(45, 51, 62)
