import Foundation

/// The clocks of GPUs, as the driver's own tool tells them.
enum GPUClock {
  /// The clock of the multiprocessors of a GPU now, in MHz; `nil` where there is no `nvidia-smi`.
  static func megahertz(_ index: Int) -> Double? {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = [
      "nvidia-smi", "--query-gpu=clocks.sm", "--format=csv,noheader,nounits", "--id=\(index)",
    ]
    let pipe = Pipe()
    (process.standardOutput, process.standardError) = (pipe, FileHandle.nullDevice)
    process.standardInput = FileHandle.nullDevice
    guard (try? process.run()) != nil, let data = try? pipe.fileHandleForReading.readToEnd() else {
      return nil
    }
    process.waitUntilExit()
    return Double(String(decoding: data, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines))
  }
}
