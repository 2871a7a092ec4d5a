#if canImport(Glibc)
  import Foundation
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// The shared libraries of this process.
enum LoadedLibrary {
  /// The path of a loaded library whose file name contains `name`.
  static func path(containing name: String) -> String? {
    #if canImport(Darwin)
      let paths = (0..<_dyld_image_count()).compactMap {
        _dyld_get_image_name($0).map { String(cString: $0) }
      }
    #else
      guard let maps = try? String(contentsOfFile: "/proc/self/maps", encoding: .utf8) else { return nil }
      let paths = maps.split(separator: "\n").compactMap { line in
        line.firstIndex(of: "/").map { String(line[$0...]) }
      }
    #endif
    return paths.first { $0.split(separator: "/").last?.contains(name) ?? false }
  }
}
