// swift-tools-version: 6.2
import PackageDescription

// What a program that uses Ganglion looks like; README.md says how it depends on it. `make examples` builds this.
let package = Package(
  name: "Examples",
  platforms: [.macOS(.v15)],
  dependencies: [.package(name: "Ganglion", path: "..")],
  targets: [
    .executableTarget(name: "classify", dependencies: [.product(name: "Ganglion", package: "Ganglion")]),
    .executableTarget(name: "features", dependencies: [.product(name: "Ganglion", package: "Ganglion")]),
  ],
  swiftLanguageModes: [.v6]
)
