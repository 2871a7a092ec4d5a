// swift-tools-version: 6.2
import PackageDescription

// A package of its own, so that users of Ganglion build no benchmarks. `Benchmarks/scan2d.py` builds and runs it.
let package = Package(
  name: "Benchmarks",
  platforms: [.macOS(.v15)],
  dependencies: [.package(name: "Ganglion", path: "..")],
  targets: [
    // What the arithmetic units do at best, measured.
    .target(name: "CMachine", cSettings: [.unsafeFlags(["-O2", "-ffp-contract=fast"])]),
    .executableTarget(
      name: "scan2d", dependencies: ["CMachine", .product(name: "Ganglion", package: "Ganglion")],
      swiftSettings: [.treatAllWarnings(as: .error)])
  ],
  swiftLanguageModes: [.v6]
)
